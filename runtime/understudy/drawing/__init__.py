"""Pictures of workflows and of supervision trees; pure, from data to text."""
