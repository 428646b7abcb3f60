"""What the authors of the course run: notebooks from their text twins, and the gallery of trained generators."""
