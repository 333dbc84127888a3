package native

func (d *door) fileRoutes() {}
