"""What everything speaks: values, with no clock, no socket, no disk and no trio."""
