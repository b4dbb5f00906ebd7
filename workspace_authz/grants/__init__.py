"""Who holds what by RBAC, in MLflow's levels, and the objects that grant it. It decides nothing."""
