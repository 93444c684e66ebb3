"""The worker's own packages, in a folder of the user's: which, how large, from where, and putting them there.

plan.py says what would be installed, folder.py what is, devices.py which ONNX Runtime fits the machine. install.py
does it, run as a process of its own (`python -m environment`) that speaks the worker's JSON lines. No bpy in here,
and nothing is ever written to Blender's own Python.
"""
