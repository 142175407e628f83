"""The recurrences as plain loops: the definitions that every fast form is tested against."""
