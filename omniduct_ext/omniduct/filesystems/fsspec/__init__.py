"""fsspec, both ways: any filesystem of its as a duct, and any duct as a filesystem of its."""
