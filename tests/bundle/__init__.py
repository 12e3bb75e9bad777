"""The OLM bundle and the manifests of config/."""
