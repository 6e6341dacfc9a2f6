"""Files and folders that are whole or absent, whenever a process is killed."""
