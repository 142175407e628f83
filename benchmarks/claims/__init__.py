"""Claims of the four papers, each tried where theory says that it should show.

A module has the protocol of one claim in its docstring: tasks, splits, seeds, forms, budgets and the single test at the
end. The protocol was committed before any held-out result was computed; the order of the commits shows it.
"""
