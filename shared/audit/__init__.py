"""Reading the record: what an outside consumer imports. Needs the topics or an export, and no service."""
