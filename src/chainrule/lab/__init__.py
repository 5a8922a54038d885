"""The labs: workspaces for learners, checks that say what is wrong, and what is handed in.

The content of the labs is `labs` (what is written where), `texts` (the notebooks), `probes` (what functions are asked) and `mistakes` (the
catalogue); the rest is machinery. A learner's code runs in a process of its own (`sandbox`, `child`), the library's in another that says
what is wrong (`judging`, `diagnosis`); both are forked from one that has imported what they take (`processes`, `forkserver`).
"""
