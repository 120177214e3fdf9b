"""What runs on a host before, beside and after the agent: install, launch, update's safety net, uninstall.

It is shipped as one zipapp that needs nothing but the standard library of Python 3.11 or newer, so that a
host without packages, compiler or registry can run it. It imports nothing else of ours.
"""
