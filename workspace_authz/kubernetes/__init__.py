"""How Kubernetes is asked. Only this package speaks to the API server.

``configuration`` finds it and the process's own credential, ``connection`` holds the connections, ``reviews``
and ``subject_reviews`` ask what callers may do, ``informer`` follows objects. Beside it there is the dev
plane's client, :mod:`workspace_authz.devplane.api`, which speaks to the API that the dev plane starts.
"""
