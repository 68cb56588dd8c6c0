//! A request through the steps, compared with the same done on decoded objects.
