"""The ground floor: time, keys, errors and the measuring protocol.

Standard library only. Every other room may import this one; it imports none of them.
"""
