"""Methods, whoever wrote them: found, begun, submitted, and run again."""
