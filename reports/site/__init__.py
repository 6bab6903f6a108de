"""The site: every page is one module and one template, made from records alone."""

from taskmark.reports.site.assembling import site_files

__all__ = ["site_files"]
