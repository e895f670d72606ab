//! How fast a component answers and how large it is.
