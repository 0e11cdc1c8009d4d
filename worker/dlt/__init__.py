"""India DLT: registered templates, whether a text fits them, and what an operator's scrubbing would refuse. Pure.

ids, templates         what can be registered
matching, differences  whether a text fits, and where it departs
choice, composing      finding a template, filling one
registries             those in memory
rules, screen          what may be used through a surface, and what is said of the texts that go through it
verdict                what is told to somebody who asks about one text
columns, exports       an operator portal's list
"""
