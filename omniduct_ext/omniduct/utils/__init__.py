"""What subclasses of Duct may use besides Duct itself."""
