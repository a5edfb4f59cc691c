"""FC's nouns, states and policies: pure values that every layer above speaks."""
