"""The page of a study, of a comparison, of a certificate: one HTML file that loads nothing from elsewhere.

May enter: charts as data, the templates that draw them as SVG, their style, and the few lines of script. Must not know: torch.
"""
