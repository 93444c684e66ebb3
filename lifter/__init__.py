"""Video to 3D human motion: footage, detection, tracking, lifting, world motion, solving. No bpy in here."""
