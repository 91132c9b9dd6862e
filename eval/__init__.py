"""Bundle and corpus in, report out."""
