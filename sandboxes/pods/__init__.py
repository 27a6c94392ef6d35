"""What the backend for Kubernetes is made of."""
