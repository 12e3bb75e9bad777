"""HTTP requests to servers that an administrator has listed: the only I/O with anything but Kubernetes."""
