"""What an index and the neighbour estimators hold: references that grow, and what finds shortlists of them."""
