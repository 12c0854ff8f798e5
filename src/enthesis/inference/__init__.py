"""How it is computed. Engines see targets only."""
