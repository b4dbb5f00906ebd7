"""What tests share: stand-ins, real control planes, real MLflow servers and the real SDK."""
