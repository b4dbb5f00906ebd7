"""What runs beside MLflow's SDK and in the shell: finds the token to send and the workspace to name.

``plugin`` is MLflow's entry point, ``sources`` chooses, ``cluster`` asks a Kubernetes API server for a token,
and ``oidc``, ``browser``, ``device`` and ``logins`` get and keep one of an OpenID Connect provider. Nothing
here imports code of the server. What only some callers need is imported when they need it.
"""
