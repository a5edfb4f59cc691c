"""Who may do what: access keys and the signatures that are made with them."""
