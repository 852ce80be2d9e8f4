"""Live attribution of any map: what is asked, sampled, kept and streamed. No image, no panel."""
