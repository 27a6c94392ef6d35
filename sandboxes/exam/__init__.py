"""The attacks of the exam, by what they are after; `sandboxes.check` lists them all."""
