"""The worker process as seen from Blender: jobs out, messages in, nothing that waits. No bpy in here.

messages.py says what goes to and fro; process.py runs one worker; job_queue.py has jobs wait for each other.
"""
