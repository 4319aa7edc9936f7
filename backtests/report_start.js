// Last of all, once everything that it calls is there.
Report.start();
