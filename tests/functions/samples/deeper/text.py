TEXT = "from deeper"
