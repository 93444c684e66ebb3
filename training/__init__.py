"""Makes lifting checkpoints: motion capture in, ONNX and safetensors out. See training/cli.py for the commands."""
