"""CS231n's package `cs231n` (assignments 1 and 2, 2018 to 2026): the course's own names over chainrule.functional."""
