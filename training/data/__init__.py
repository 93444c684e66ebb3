"""Training data: one file a source, all into one store (`prepare.py`, `store.py`), and windows of it (`windows.py`).

Sources: `bvh.py`, `open_data.py`, `amass.py`, `human36m.py`, `motionbert.py`, `mpi_inf_3dhp.py`, `humaneva.py`,
`keypoint_files.py`. What they yield: `recording.py`. Motion capture onto our skeletons: `mocap.py` and maps/. Pickles:
`unpickle.py` and no other way.
"""
