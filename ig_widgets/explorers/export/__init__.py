"""What leaves an explorer: pictures, an HTML page that works without a kernel, an NPZ file to go on from."""
