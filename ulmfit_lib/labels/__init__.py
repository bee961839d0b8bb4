"""What a label is: one class a text, a rating, or several tags; all that depends on the kind of label lives here."""
