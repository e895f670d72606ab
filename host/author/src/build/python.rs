//! Building policies in Python.
