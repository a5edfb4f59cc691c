"""What pyfc is measured beside: one file per peer, found by being here.

A peer has `PACKAGES` (installed into the harness's own environment), `KINDS` (of workloads it serves) and
`start(python, workload, port)`: the command line of a server on 127.0.0.1 and the path to post to.
"""
