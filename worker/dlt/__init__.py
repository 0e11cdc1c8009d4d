"""India DLT: registered templates, whether a text fits them, and what an operator's scrubbing would refuse. Pure.

ids, templates         what can be registered
matching, differences  whether a text fits, and where it departs
choice, composing      finding a template, filling one
known, registries      those in memory
rules, verdict         what may be used for a message, and what scrubbing would say of its text
screen                 what is said of the texts that go through one surface
columns, exports       an operator portal's list
"""
