"""Between the suite and the released code bases."""
