"""Plain text for people; colour only adds."""
