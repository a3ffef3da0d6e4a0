"""The ground floor every room stands on: errors, registries, atomic files, canonical hashes. Standard library only."""
