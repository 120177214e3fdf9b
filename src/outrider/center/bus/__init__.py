"""The bus: hints between the parts of a center and between its replicas.

A hint says "look here", never "this happened": it may be lost, come twice or late, and the database stays the
one truth. So nothing here waits, retries or keeps hints for anybody.

A topic is words divided by dots; its first word is its group (`link.agent_x` is of the group `link`).
"""
