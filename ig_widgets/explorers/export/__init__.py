"""What leaves an explorer: pictures, arrays, one HTML file."""
