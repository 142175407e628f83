"""The package against its peers: recurrences, distances, neighbours, reservoirs, and how all of them scale."""
