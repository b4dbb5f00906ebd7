"""How Kubernetes is asked. The only importer of ``kubernetes_asyncio``."""
