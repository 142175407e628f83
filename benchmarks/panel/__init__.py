"""One table for a folder of problems: contenders, problems, fits, ranks and pictures."""
